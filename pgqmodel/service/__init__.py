"""The reference queue over HTTP: webhooks that become runs, status, and log streams that lose no line.

Nothing is exported here, so that a program that only signs a webhook loads no web server.
"""
