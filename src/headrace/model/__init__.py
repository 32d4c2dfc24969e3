"""What things are: frozen values that print as JSON. No input, no output, no clock."""
