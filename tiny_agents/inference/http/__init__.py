"""Sending requests and reading answers. With `mcp_client/transports` and `oauth` the only place that imports httpx2.

`SyncHTTP` and `AsyncHTTP` only send and wait; what there is to decide is written once, in `../wire.py` and in `tries.py`.

Time limits: `timeout_s` bounds every single wait (connect at most `CONNECT_TIMEOUT_S`, write, read). The limit on silence
within a stream, where comments don't count as data, is kept by the stream objects, which see the events. A deadline, where
there is one, is looked at before every wait and whenever data arrives.
"""
