"""One module for each peer, run by the Python of its environment: conversion and inference."""
