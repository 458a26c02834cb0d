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

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/policies"
)

// base is where the schemas' $id says that they are; nothing is fetched from there.
const base = "https://github.com/calimero-network/mero-tee/policies/"

// Validate says whether the file conforms to attestation-policy.schema.json.
// Its errors have code Verification and name the place in the file.
func Validate(policy []byte) error { return validate(policies.SchemaFile, policy) }

// ValidateWorking is Validate for a working policy and working-policy.schema.json.
func ValidateWorking(policy []byte) error { return validate(policies.WorkingSchemaFile, policy) }

// ValidateHost is Validate for the TCB list of the key service's host and host-tcb.schema.json.
func ValidateHost(list []byte) error { return validate(policies.HostSchemaFile, list) }

func validate(location string, policy []byte) error {
	if len(policy) > canonical.MaxSize {
		return refused(location, fmt.Errorf("%d bytes, more than the %d allowed", len(policy), canonical.MaxSize))
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(policy))
	if err != nil {
		return refused(location, err)
	}
	schema, err := compile(location)
	if err != nil {
		return err
	}
	if err := schema.Validate(value); err != nil {
		return refused(location, err)
	}
	return nil
}

// compile needs no network: the schemas refer to nothing but each other.
func compile(location string) (*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.UseLoader(jsonschema.SchemeURLLoader{})
	for name, schema := range map[string][]byte{policies.SchemaFile: policies.Schema,
		policies.WorkingSchemaFile: policies.WorkingSchema, policies.HostSchemaFile: policies.HostSchema} {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
		if err != nil {
			return nil, err
		}
		if err := c.AddResource(base+name, doc); err != nil {
			return nil, err
		}
	}
	return c.Compile(base + location)
}

func refused(location string, err error) error {
	return &fault.Error{Code: fault.Verification, Message: "the policy does not conform to " + location, Err: err}
}
