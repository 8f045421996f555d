// Ask for scores: java -cp 'lib/*' AskForScores.java BROKERS PREFIX USER [ITEM ...] [FIELD=VALUE ...]
// Without items all live ones compete. The fields are what is known of a user who may be new to the model.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class AskForScores {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Duration PATIENCE = Duration.ofSeconds(60);

  public static void main(String[] arguments) {
    if (arguments.length < 3) {
      fail("java -cp 'lib/*' AskForScores.java BROKERS PREFIX USER [ITEM ...] [FIELD=VALUE ...]");
    }
    List<String> more = Arrays.asList(arguments).subList(3, arguments.length);
    List<String> items = more.stream().filter(word -> !word.contains("=")).toList();
    Map<String, String> profile = new LinkedHashMap<>();
    more.stream().filter(word -> word.contains("=")).map(word -> word.split("=", 2))
        .forEach(pair -> profile.put(pair[0], pair[1]));
    try {
      print(ask(arguments[0], arguments[1], arguments[2], items, profile));
    } catch (KafkaException error) {
      fail("no broker answers at " + arguments[0] + ": " + error.getMessage());
    } catch (Exception error) {
      fail(error.getMessage());
    }
  }

  private static JsonNode ask(
      String brokers, String prefix, String user, List<String> items, Map<String, String> profile) throws Exception {
    String requests = prefix + "requests", scores = prefix + "scores";
    Map<String, Object> common = Map.of("bootstrap.servers", brokers);
    try (var consumer = new KafkaConsumer<>(with(common, Map.of("enable.auto.commit", false)), new StringDeserializer(),
            new ByteArrayDeserializer());
        var producer = new KafkaProducer<>(common, new StringSerializer(), new StringSerializer())) {
      var known = consumer.listTopics(Duration.ofSeconds(10)); // of all topics: to ask for one by name may make it
      for (String topic : List.of(requests, scores)) {
        if (!known.containsKey(topic)) {
          throw new Exception("there is no topic " + topic + " at " + brokers
              + ": make it with `ralm topics`, or mend the prefix");
        }
      }
      // Stand at the end of the answers before the request is sent, so that ours cannot be missed.
      var places = known.get(scores).stream().map(part -> new TopicPartition(scores, part.partition())).toList();
      consumer.assign(places);
      consumer.seekToEnd(places);
      places.forEach(consumer::position); // seekToEnd waits until somebody asks

      ObjectNode request = JSON.createObjectNode();
      request.put("request_id", UUID.randomUUID().toString());
      request.put("user_id", user);
      request.put("ts", System.currentTimeMillis()); // milliseconds: a long
      request.put("top_k", 10);
      if (!items.isEmpty()) {
        items.forEach(request.putArray("candidates")::add);
      }
      if (!profile.isEmpty()) {
        profile.forEach(request.putObject("profile")::put);
      }
      try {
        producer.send(new ProducerRecord<>(requests, user, request.toString())).get(10, TimeUnit.SECONDS);
      } catch (ExecutionException error) {
        throw new Exception("the request was not delivered: " + error.getCause().getMessage());
      }
      long deadline = System.nanoTime() + PATIENCE.toNanos();
      while (System.nanoTime() < deadline) {
        for (ConsumerRecord<String, byte[]> record : consumer.poll(Duration.ofMillis(500))) {
          JsonNode answer = JSON.readTree(record.value());
          // An answer may come twice, after a crash; the request_id tells.
          if (answer.path("request_id").equals(request.get("request_id"))) {
            return answer;
          }
        }
      }
    }
    throw new Exception("no answer within 60 s: does the flow run, and is it ready (/-/ready)?");
  }

  private static void print(JsonNode answer) {
    switch (answer.get("status").asText()) {
      case "ok" -> {
        for (JsonNode score : answer.get("scores")) {
          System.out.printf(Locale.ROOT, "%.3f  %s%n", score.get("score").asDouble(), score.get("item_id").asText());
        }
        for (JsonNode item : answer.get("cold")) {
          System.out.println("cold   " + item.asText() + "  (too few clicks yet)");
        }
      }
      case "unknown_user" -> System.out.println("the model does not know this user, nor anything of the profile: fall back to what is popular");
      case "no_candidates" -> System.out.println("no candidate has centroids yet: fall back to what is popular");
      case "expired" -> System.out.println("the request waited too long: ask again if somebody still waits");
      default -> fail("status " + answer.get("status").asText() + " is newer than this program");
    }
  }

  private static Map<String, Object> with(Map<String, Object> one, Map<String, Object> other) {
    var both = new java.util.HashMap<>(one);
    both.putAll(other);
    return both;
  }

  private static void fail(String text) {
    System.err.println(text);
    System.exit(1);
  }
}
