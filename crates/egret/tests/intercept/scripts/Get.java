import java.net.InetSocketAddress;
import java.net.ProxySelector;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

/** GET through the proxy; prints the length of the body. */
public class Get {
    public static void main(String[] arguments) throws Exception {
        InetSocketAddress proxy = new InetSocketAddress(arguments[0], Integer.parseInt(arguments[1]));
        HttpClient client = HttpClient.newBuilder().proxy(ProxySelector.of(proxy)).build();
        HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[2])).build();
        System.out.println(client.send(request, HttpResponse.BodyHandlers.ofByteArray()).body().length);
    }
}
