"""One module per command or group of commands; each holds ``Command`` declarations and what they do."""
