"""The Engine API client: synchronous, standard library only, quick to import.

May import ``errors`` and ``wire``. ``api.Client`` is the way in; ``http`` speaks HTTP/1.1 over any socket,
``transport`` opens the socket, ``streams`` splits the framed output of attach and logs. An async client may stand
beside ``api`` and share ``transport.Endpoint`` and the error mapping. Nothing is imported here: the command line pays
for every module.
"""
