import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.ProxySelector;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.stream.IntStream;

/** HttpClient (which offers an upgrade to h2c on plain http) and URLConnection through the proxy. */
public class Clients {
    static void check(boolean good, String what) {
        if (!good) throw new AssertionError(what);
    }

    public static void main(String[] args) throws Exception {
        var proxy = new InetSocketAddress(args[0], Integer.parseInt(args[1]));
        String http = args[2], https = args[3];

        var client = HttpClient.newBuilder().proxy(ProxySelector.of(proxy)).connectTimeout(Duration.ofSeconds(30)).build();
        for (String origin : new String[] {http, https}) {
            var get = HttpRequest.newBuilder(URI.create(origin + "/echo?a=b")).timeout(Duration.ofSeconds(30)).build();
            String text = client.send(get, HttpResponse.BodyHandlers.ofString()).body();
            check(text.contains("\"target\":\"/echo?a=b\""), text);
            check(!text.toLowerCase().contains("h2c"), "no h2c upstream: " + text);
            var post = HttpRequest.newBuilder(URI.create(origin + "/echo")).timeout(Duration.ofSeconds(30))
                .POST(HttpRequest.BodyPublishers.ofByteArray(new byte[200_000])).build();
            check(client.send(post, HttpResponse.BodyHandlers.ofString()).body().contains("\"bytes\":200000"), "post");
        }
        var sizes = IntStream.range(0, 30).mapToObj(i ->
            client.sendAsync(HttpRequest.newBuilder(URI.create(http + "/bytes/" + i)).build(), HttpResponse.BodyHandlers.ofByteArray())
        ).map(future -> future.join().body().length).toList();
        check(sizes.equals(IntStream.range(0, 30).boxed().toList()), "sizes " + sizes);

        for (String origin : new String[] {http, https}) {
            var connection = (HttpURLConnection) URI.create(origin + "/chunked/5000").toURL()
                .openConnection(new Proxy(Proxy.Type.HTTP, proxy));
            connection.setConnectTimeout(30_000);
            connection.setReadTimeout(30_000);
            check(connection.getInputStream().readAllBytes().length == 5000, "URLConnection " + origin);
        }
        try {
            URI.create("https://127.0.0.1:1/").toURL().openConnection(new Proxy(Proxy.Type.HTTP, proxy)).getInputStream();
            throw new AssertionError("a refused tunnel must be an error");
        } catch (IOException error) {
            check(error.getMessage().contains("connect-refused"), error.getMessage());
        }
        System.out.println("good");
    }
}
