"""How ``cove build`` shows a build: ``plain`` lines, or ``tty``, a picture that is drawn again and again."""
