"""Stands for Totton's web interface in the lab: an ASGI app for a real uvicorn."""


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"Totton Audio\n"})
