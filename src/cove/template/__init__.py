"""Go's text/template, the part that ``--format`` uses: pure, text in and text out.

``lexer`` makes tokens, ``parser`` a tree, ``evaluate`` runs it, ``functions`` holds what can be called, ``values`` how
Go prints. Left out: define, template and block. Start with ``Template`` in ``evaluate``.
"""
