package tdx

// NoActionEvent is EV_NO_ACTION: logged, never extended. All other types only
// carry a digest, but for RuntimeEvent.
const NoActionEvent uint32 = 0x00000003

// What bounds a log from outside.
const (
	maxLog    = 1 << 20 // bytes; GCP reserves 262,144 for its CCEL, dstack's JSON has about 20,000
	maxEvents = 4096
)

// Event is one line of an event log. It is a claim until its log was replayed
// to the register of a verified quote.
type Event struct {
	RTMR    int // 0 to 3; -1 for an event of MRTD
	Type    uint32
	Digest  Register
	Name    string
	Payload []byte // of a runtime event, what Digest is of; of any other, the log's own word
	Version int    // of a runtime event: how name and payload make the digest; 0 means 1
}

// Replay computes what the events make of a register that starts at zero.
func Replay(events []Event, rtmr int) Register {
	var r Register
	for _, e := range events {
		if e.RTMR == rtmr && e.Type != NoActionEvent {
			r = r.Extend(e.Digest)
		}
	}
	return r
}
