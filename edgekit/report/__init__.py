"""The one style of the reports about a conversion, an evaluation and a comparison."""
