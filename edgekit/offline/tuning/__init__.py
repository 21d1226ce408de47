"""Decision settings for labelled recordings: found, and judged on what did not tune them."""
