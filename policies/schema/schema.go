// Package schema validates attestation policies against the JSON schema that
// is published with them.
//
// Its promise: what passes here also passes any other implementation of JSON
// schema draft 2020-12, so an operator needs none of this project's code to
// check a policy. It is apart from policies so that the key service, which
// uses policies.Decode, does not carry a schema library.
package schema

import (
	"bytes"
	"fmt"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/calimero-network/mero-tee/internal/canonical"
	"github.com/calimero-network/mero-tee/internal/fault"
	"github.com/calimero-network/mero-tee/policies"
)

const location = policies.SchemaFile

// Validate says whether the file conforms to attestation-policy.schema.json.
// Its errors have code Verification and name the place in the file.
func Validate(policy []byte) error {
	if len(policy) > canonical.MaxSize {
		return refused(fmt.Errorf("%d bytes, more than the %d allowed", len(policy), canonical.MaxSize))
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(policy))
	if err != nil {
		return refused(err)
	}
	schema, err := compile()
	if err != nil {
		return err
	}
	if err := schema.Validate(value); err != nil {
		return refused(err)
	}
	return nil
}

// compile needs no network: the schema refers to nothing outside itself.
func compile() (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(policies.Schema))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(jsonschema.SchemeURLLoader{})
	if err := c.AddResource(location, doc); err != nil {
		return nil, err
	}
	return c.Compile(location)
}

func refused(err error) error {
	return &fault.Error{Code: fault.Verification, Message: "the policy does not conform to " + policies.SchemaFile, Err: err}
}
