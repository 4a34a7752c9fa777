"""get.py LIBRARY URL...: asks for each URL as programs written with this library do by default."""

import sys

library, *urls = sys.argv[1:]

if library == "urllib":
    import urllib.request

    for url in urls:
        urllib.request.urlopen(url, timeout=20).read()
elif library == "requests":
    import requests

    for url in urls:
        requests.get(url, timeout=20).raise_for_status()
elif library == "httpx":
    import httpx

    with httpx.Client(timeout=20) as client:
        for url in urls:
            client.get(url).raise_for_status()
elif library == "aiohttp":
    import asyncio

    import aiohttp

    async def main():
        async with aiohttp.ClientSession(trust_env=True) as session:
            for url in urls:
                async with session.get(url) as response:
                    await response.read()

    asyncio.run(main())
else:
    raise SystemExit(f"no library {library}")
