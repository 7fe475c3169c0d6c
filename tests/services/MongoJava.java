import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import java.net.InetSocketAddress;
import java.util.List;

/** mongo-java-server on 127.0.0.1: PORT FILE. */
public class MongoJava {
  public static void main(String[] arguments) throws Exception {
    H2Backend backend = new H2Backend(arguments[1]);
    backend.version(
        new MongoVersion() { // recent drivers refuse the wire versions of the built-in ones
          public List<Integer> getVersionArray() {
            return List.of(5, 0, 0);
          }

          public int getWireVersion() {
            return 13;
          }
        });
    MongoServer server = new MongoServer(backend);
    server.bind(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])));
    Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow));
    Thread.currentThread().join();
  }
}
