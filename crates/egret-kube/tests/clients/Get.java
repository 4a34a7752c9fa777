import java.net.ProxySelector;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

/** LIBRARY URL...: asks for each URL by URLConnection or HttpClient, with the proxies of the properties. */
public class Get {
    public static void main(String[] args) throws Exception {
        var client = HttpClient.newBuilder().proxy(ProxySelector.getDefault()).version(HttpClient.Version.HTTP_1_1).build();
        for (int i = 1; i < args.length; i++) {
            var url = URI.create(args[i]);
            if (args[0].equals("client")) {
                client.send(HttpRequest.newBuilder(url).build(), HttpResponse.BodyHandlers.ofString());
            } else {
                url.toURL().openStream().readAllBytes();
            }
        }
    }
}
