"""A simulator of api.data.gov.in for the tests of ogdsync.

It shares nothing with the daemon, so that a test compares two independent
opinions of what the portal served.  main.py reads the command line, server.py
owns the sockets, app.py answers one request; everything below those is plain
data in, plain data out.
"""
