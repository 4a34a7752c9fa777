"""aiohttp: many requests at once."""
import asyncio
import ssl
import sys

import aiohttp

proxy, http, https, ca = sys.argv[1:]


async def main():
    context = ssl.create_default_context(cafile=ca)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout) as session:

        async def fetch(url):
            async with session.get(url, proxy=proxy, ssl=context) as response:
                assert response.status == 200
                return await response.read()

        bodies = await asyncio.gather(*(fetch(f"{base}/bytes/{i}") for base in (http, https) for i in range(30)))
        assert [len(body) for body in bodies] == list(range(30)) * 2

        async def chunks():
            for _ in range(10):
                yield b"piece"

        async with session.post(f"{http}/echo", data=chunks(), proxy=proxy) as response:
            assert (await response.json())["bytes"] == 50


asyncio.run(main())
print("good")
