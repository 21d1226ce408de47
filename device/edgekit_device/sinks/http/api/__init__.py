"""Parts of the page's JSON interface, a module for each."""
