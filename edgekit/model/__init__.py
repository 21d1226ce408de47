"""The model file: what it holds, how it is read, and what its flatbuffer computes.

`container` reads and packs the whole file, `manifest` is what edgekit says in it, `flatbuffer`
reads the graph with bounds checks, `structure` recognises a ResNet in it, `labels` names the
classes, and `architectures` is the table of the ResNets that there are.
"""
