# Hashes by Devise. Run: ruby golden.rb > ruby.json
require "json"
require "rails"
require "devise"
require "devise/version"

passwords = JSON.parse(File.read(File.join(__dir__, "passwords.json")))
golden = []
[nil, "peppeppeppeppeppeppeppeppeppep", "0123456789abcdef" * 8, "Pfäffer"].each do |pepper|
  model = Struct.new(:pepper, :stretches).new(pepper, 5)
  passwords.each_value do |password|
    stored = Devise::Encryptor.digest(model, password)
    golden << { stack: "devise", by: "Devise #{Devise::VERSION}", password: password, stored: stored, pepper: pepper }
  end
end
puts JSON.generate(golden)
