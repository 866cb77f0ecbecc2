<?php
// Hashes by PHP's password_hash, with the options that Laravel gives it. Run: php golden.php > php.json
$passwords = json_decode(file_get_contents(__DIR__ . "/passwords.json"), true);
$golden = [];
$by = "PHP " . PHP_VERSION;
foreach ($passwords as $password) {
    $stored = password_hash($password, PASSWORD_BCRYPT, ["cost" => 5]);
    $golden[] = ["stack" => "laravel", "by" => $by, "password" => $password, "stored" => $stored];
}
foreach (["words", "emoji", "73 bytes"] as $name) {
    foreach ([PASSWORD_ARGON2ID, PASSWORD_ARGON2I] as $algorithm) {
        $memory = $name == "emoji" ? 65536 : 1024;
        $options = ["memory_cost" => $memory, "time_cost" => 4, "threads" => 1];
        $stored = password_hash($passwords[$name], $algorithm, $options);
        $golden[] = ["stack" => "laravel", "by" => $by, "password" => $passwords[$name], "stored" => $stored];
    }
}
echo json_encode($golden);
