// Hashes by the Java platform and Bouncy Castle, which Keycloak calls, in the form that Keycloak exports.
// Run: java -cp /usr/share/java/bcprov.jar Golden.java > java.json
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.crypto.SecretKeyFactory;
import javax.crypto.spec.PBEKeySpec;
import org.bouncycastle.crypto.generators.Argon2BytesGenerator;
import org.bouncycastle.crypto.params.Argon2Parameters;

class Golden {
    static final String[][] DIGESTS = {
        {"pbkdf2", "PBKDF2WithHmacSHA1"}, {"pbkdf2-sha256", "PBKDF2WithHmacSHA256"}, {"pbkdf2-sha512", "PBKDF2WithHmacSHA512"}};
    static final List<String> made = new ArrayList<>();

    public static void main(String[] arguments) throws Exception {
        // JSON without a library: each password stays as it is written there
        Matcher one = Pattern.compile("\"(.*)\": (\".*\")").matcher(Files.readString(Path.of("passwords.json")));
        while (one.find()) {
            if (!List.of("words", "umlauts", "emoji", "73 bytes").contains(one.group(1))) continue;
            String written = one.group(2), password = written.substring(1, written.length() - 1);
            byte[] salt = new byte[16];
            new SecureRandom().nextBytes(salt);
            for (String[] digest : DIGESTS) pbkdf2(written, password, salt, digest[0], digest[1], 1000);
            if (one.group(1).equals("words")) pbkdf2(written, password, salt, DIGESTS[2][0], DIGESTS[2][1], 210_000);
            argon2(written, password, salt, one.group(1).equals("words") ? 7168 : 1024);
        }
        System.out.write(("[" + String.join(",\n", made) + "]\n").getBytes(StandardCharsets.UTF_8));
        System.out.flush();
    }

    static void pbkdf2(String written, String password, byte[] salt, String name, String digest, int iterations) throws Exception {
        PBEKeySpec spec = new PBEKeySpec(password.toCharArray(), salt, iterations, 512);
        byte[] hashed = SecretKeyFactory.getInstance(digest).generateSecret(spec).getEncoded();
        add("Java " + Runtime.version().feature(), written, salt, hashed, name, iterations, "{}");
    }

    static void argon2(String written, String password, byte[] salt, int memory) {
        Argon2BytesGenerator generator = new Argon2BytesGenerator();
        generator.init(new Argon2Parameters.Builder(Argon2Parameters.ARGON2_id).withVersion(Argon2Parameters.ARGON2_VERSION_13)
            .withSalt(salt).withParallelism(1).withMemoryAsKB(memory).withIterations(5).build());
        byte[] hashed = new byte[32];
        generator.generateBytes(password.toCharArray(), hashed);
        add("Bouncy Castle", written, salt, hashed, "argon2", 5,
            "{\"hashLength\":[\"32\"],\"memory\":[\"" + memory + "\"],\"type\":[\"id\"],\"version\":[\"1.3\"],\"parallelism\":[\"1\"]}");
    }

    static void add(String by, String written, byte[] salt, byte[] hashed, String name, int iterations, String more) {
        Base64.Encoder base64 = Base64.getEncoder();
        String secret = "{\"value\":\"" + base64.encodeToString(hashed) + "\",\"salt\":\"" + base64.encodeToString(salt)
            + "\",\"additionalParameters\":{}}";
        String about = "{\"hashIterations\":" + iterations + ",\"algorithm\":\"" + name + "\",\"additionalParameters\":" + more + "}";
        made.add("{\"stack\":\"keycloak\",\"by\":\"" + by + "\",\"password\":" + written + ",\"stored\":{\"secretData\":" + quoted(secret)
            + ",\"credentialData\":" + quoted(about) + "}}");
    }

    static String quoted(String json) {
        return "\"" + json.replace("\"", "\\\"") + "\"";
    }
}
