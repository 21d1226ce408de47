"""What a conversion found out, as a page and as JSON."""
