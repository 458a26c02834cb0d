// Command ita attests with Intel's own connector, for the test that shows that
// Intel's code accepts what the rehearsal's Trust Authority says.
//
// It writes the report data that the quote must carry to standard output (one
// line of hex), reads the quote from standard input (one line of base64), and
// writes the claims of the verified token as JSON. Proxy and certificates come from the
// environment, as net/http reads them; the API key from ITA_API_KEY, the
// signing algorithm from the one argument.
package main

import (
	"bufio"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	connector "github.com/intel/trustauthority-client/go-connector"
)

const (
	portal = "https://portal.trustauthority.intel.com"
	api    = "https://api.trustauthority.intel.com"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: ita PS384|RS256")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(algorithm string) error {
	c, err := connector.New(&connector.Config{BaseUrl: portal, ApiUrl: api, ApiKey: os.Getenv("ITA_API_KEY")})
	if err != nil {
		return err
	}
	answer, err := c.Attest(connector.AttestArgs{Adapter: adapter{userData: []byte("user data")},
		TokenSigningAlg: algorithm})
	if err != nil {
		return err
	}
	token, err := c.VerifyToken(answer.Token)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(token.Claims)
}

// adapter has its quote made by whoever runs the program.
type adapter struct{ userData []byte }

// CollectEvidence is called with val ‖ iat of the service's nonce.
func (a adapter) CollectEvidence(nonce []byte) (*connector.Evidence, error) {
	reportData := sha512.Sum512(append(nonce, a.userData...))
	fmt.Printf("%x\n", reportData)
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		return nil, err
	}
	quote, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
	return &connector.Evidence{Type: connector.Tdx, Evidence: quote, RuntimeData: a.userData}, err
}
