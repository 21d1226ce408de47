"""Float TFLite to int8: a module for each technique, and the search among recipes."""
