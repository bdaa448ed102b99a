"""From the options of ``run`` and ``create`` to the body of the Engine API's container create.

``flags`` declares the options, ``kinds`` reads their values, ``ports``, ``mounts`` and ``networks`` have grammars of
their own, and ``body`` puts it together. What Docker's client sends is what is sent here, key for key.
"""
