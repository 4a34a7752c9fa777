"""WebSockets: by Upgrade through the plain proxy, and through a tunnel."""
import asyncio
import sys
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

proxy = sys.argv[1]


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


async def by_upgrade(port):
    """What a client does that speaks absolute-form to the proxy: the library has no such mode, so the
    handshake is rewritten on its way out."""
    address = urlsplit(proxy)
    reader_of_local = asyncio.get_running_loop().create_future()

    async def relay(reader, writer):
        up_reader, up_writer = await asyncio.open_connection(address.hostname, address.port)
        head = await reader.readuntil(b"\r\n\r\n")
        up_writer.write(head.replace(b"GET /", b"GET http://127.0.0.1:%d/" % port, 1))

        async def pump(source, sink):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
            sink.write_eof()

        await asyncio.gather(pump(reader, up_writer), pump(up_reader, writer), return_exceptions=True)
        reader_of_local.set_result(None)

    local = await asyncio.start_server(relay, "127.0.0.1", 0)
    local_port = local.sockets[0].getsockname()[1]
    async with connect(f"ws://127.0.0.1:{port}/chat", host="127.0.0.1", port=local_port, proxy=None) as websocket:
        await talk(websocket)
    local.close()


async def talk(websocket):
    for message in ["hello", b"\x00\xff" * 1000, "x" * 200_000]:
        await websocket.send(message)
        assert await websocket.recv() == message


async def main():
    async with serve(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}/chat", proxy=proxy) as websocket:
            await talk(websocket)
        await by_upgrade(port)


asyncio.run(asyncio.wait_for(main(), 60))
print("good")
