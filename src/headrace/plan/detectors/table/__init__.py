"""The rows of frameworks, by what they are."""
