package tdx

// Move is an event in which two logs of one register differ. Both are there
// when events of one name differ in what was measured; one is nil when the
// other log alone has such an event at that place.
type Move struct{ Before, After *Event }

// Name is what both events are called.
func (m Move) Name() string {
	if m.After != nil {
		return m.After.Describe().Name()
	}
	return m.Before.Describe().Name()
}

// Moves compares the events of a register in two logs. What both have in the
// same order is no move; of what lies between, events of one name are put
// beside each other, in order.
func Moves(before, after []Event, rtmr int) []Move {
	a, b := extended(before, rtmr), extended(after, rtmr)
	var out []Move
	from, to := 0, 0
	for _, same := range append(shared(a, b), [2]int{len(a), len(b)}) {
		out = append(out, paired(a[from:same[0]], b[to:same[1]])...)
		from, to = same[0]+1, same[1]+1
	}
	return out
}

func extended(events []Event, rtmr int) []Event {
	var out []Event
	for _, e := range events {
		if e.RTMR == rtmr && e.Type != NoActionEvent {
			out = append(out, e)
		}
	}
	return out
}

// shared is the longest list of pairs of places, in order, at which the logs measure the same.
func shared(a, b []Event) [][2]int {
	length := make([][]uint16, len(a)+1) // of the list from there on; maxEvents fits
	for i := range length {
		length[i] = make([]uint16, len(b)+1)
	}
	same := func(i, j int) bool { return a[i].Digest == b[j].Digest && a[i].Type == b[j].Type }
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			length[i][j] = max(length[i+1][j], length[i][j+1])
			if same(i, j) {
				length[i][j] = max(length[i][j], length[i+1][j+1]+1)
			}
		}
	}
	var out [][2]int
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case same(i, j) && length[i][j] == length[i+1][j+1]+1:
			out = append(out, [2]int{i, j})
			i, j = i+1, j+1
		case length[i+1][j] >= length[i][j+1]:
			i++
		default:
			j++
		}
	}
	return out
}

// paired puts the events of one name beside each other. What a log words
// otherwise than it measured has its name all the same: it is the place that counts.
func paired(a, b []Event) []Move {
	var out []Move
	taken := make([]bool, len(b))
	for i := range a {
		m := Move{Before: &a[i]}
		for j := range b {
			if !taken[j] && a[i].Describe().Name() == b[j].Describe().Name() {
				taken[j], m.After = true, &b[j]
				break
			}
		}
		out = append(out, m)
	}
	for j := range b {
		if !taken[j] {
			out = append(out, Move{After: &b[j]})
		}
	}
	return out
}
