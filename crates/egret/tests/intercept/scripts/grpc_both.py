"""A gRPC server, and a client of it through the proxy: calls of every kind, with trailers and a failing status."""

import os
import sys
from concurrent import futures

import grpc

proxy, ca, certificate, key = sys.argv[1:]


def upper(request, context):
    context.set_trailing_metadata((("x-trailer", "unary"),))
    return request.upper()


def echo(requests, context):
    for request in requests:
        yield request
    context.set_trailing_metadata((("x-trailer", "both"),))


def fail(request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")


methods = {
    "Upper": grpc.unary_unary_rpc_method_handler(upper),
    "Echo": grpc.stream_stream_rpc_method_handler(echo),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
}
server = grpc.server(futures.ThreadPoolExecutor(8))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Service", methods),))
read = lambda path: open(path, "rb").read()
port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(read(key), read(certificate))]))
server.start()

credentials = grpc.ssl_channel_credentials(read(ca))
options = [("grpc.http_proxy", proxy), ("grpc.enable_http_proxy", 1)]
os.environ["https_proxy"] = proxy
with grpc.secure_channel(f"localhost:{port}", credentials, options) as channel:
    answer, call = channel.unary_unary("/test.Service/Upper").with_call(b"hello", timeout=20)
    assert answer == b"HELLO", answer
    assert dict(call.trailing_metadata())["x-trailer"] == "unary", call.trailing_metadata()

    # Each message waits for the answer to the one before: both directions are open at once.
    sent = [b"one", b"two", b"x" * 300_000]
    feed = __import__("queue").Queue()
    call = channel.stream_stream("/test.Service/Echo")(iter(feed.get, None), timeout=20)
    for message in sent:
        feed.put(message)
        assert next(call) == message
    feed.put(None)
    assert list(call) == []
    assert dict(call.trailing_metadata())["x-trailer"] == "both", call.trailing_metadata()

    try:
        channel.unary_unary("/test.Service/Fail")(b"", timeout=20)
        raise AssertionError("it must fail")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND, error
        assert error.details() == "no such thing", error
server.stop(0)
print("good", port)
