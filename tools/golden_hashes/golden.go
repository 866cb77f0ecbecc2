// Hashes by Go's x/crypto, which Supabase and Ory Kratos call, in the forms that these two store.
// Run: GO111MODULE=off GOPATH=/usr/share/gocode go run golden.go > go.json
package main

import (
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/pbkdf2"
	"golang.org/x/crypto/scrypt"
)

type golden struct {
	Stack    string `json:"stack"`
	By       string `json:"by"`
	Password string `json:"password"`
	Stored   string `json:"stored"`
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func bcryptOf(password string, cost int) string {
	made, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	must(err)
	return string(made)
}

func main() {
	text, err := os.ReadFile("passwords.json")
	must(err)
	var passwords map[string]string
	must(json.Unmarshal(text, &passwords))
	made := []golden{}
	add := func(stack string, name string, stored string) {
		made = append(made, golden{stack, "x/crypto with " + runtime.Version(), passwords[name], stored})
	}
	raw := base64.RawStdEncoding.EncodeToString
	for _, name := range []string{"words", "umlauts", "emoji", "72 bytes", "73 bytes"} {
		password := []byte(passwords[name])
		salt := make([]byte, 16)
		_, err := rand.Read(salt)
		must(err)
		add("supabase", name, bcryptOf(passwords[name], 5))
		add("kratos", name, bcryptOf(passwords[name], 5))
		hashed := argon2.IDKey(password, salt, 2, 1024, 1, 32)
		add("kratos", name, fmt.Sprintf("$argon2id$v=%d$m=1024,t=2,p=1$%s$%s", argon2.Version, raw(salt), raw(hashed)))
		hashed = pbkdf2.Key(password, salt, 1000, 32, sha512.New)
		add("kratos", name, fmt.Sprintf("$pbkdf2-sha512$i=1000,l=32$%s$%s", raw(salt), raw(hashed)))
		hashed, err = scrypt.Key(password, salt, 1024, 8, 1, 32)
		must(err)
		padded := base64.StdEncoding.EncodeToString
		add("kratos", name, fmt.Sprintf("$scrypt$ln=1024,r=8,p=1$%s$%s", padded(salt), padded(hashed)))
	}
	add("supabase", "words", bcryptOf(passwords["words"], bcrypt.DefaultCost))
	must(json.NewEncoder(os.Stdout).Encode(made))
}
