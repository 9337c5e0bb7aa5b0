package bench

// What is compared between two runs. Absolute times say as much of the machine
// as of Parley, so each mode has its own yardstick, and more is always worse.

// relate fills in the ratios. What was not measured has none.
func (l *Line) relate() {
	if l.Ratio == nil {
		l.Ratio = map[string]float64{}
	}
	put := func(name string, got, yardstick float64) {
		if r := ratio(got, yardstick); r > 0 {
			l.Ratio[name] = r
		}
	}
	if f := l.Floor; f != nil {
		if l.Mode != "fanout" { // where one person asks a few times
			put("first_p50", l.First.P50, f.First.P50)
			put("first_p99", l.First.P99, f.First.P99)
		}
		put("delivery_p50", l.Delivery.P50, f.Delivery.P50)
		put("delivery_p99", l.Delivery.P99, f.Delivery.P99)
		put("cpu", l.CPUTotal, f.CPUTotal)
	}
	extra := l.Extra
	switch l.Mode {
	case "tool":
		// On few processors people wait for each other.
		put("run_p50", l.Run.P50, l.toolBudget()*float64(l.Level))
	case "idle":
		put("kib_per_socket", extra["kib_per_socket"], extra["kib_per_socket_floor"])
	case "resume":
		put("back_p50", extra["back_p50_ms"], extra["open_p50_floor_ms"])
		put("back_p99", extra["back_p99_ms"], extra["open_p99_floor_ms"])
	case "slow":
		put("delivery_p50_to_reading", l.Delivery.P50, extra["reading_delivery_p50_ms"])
		put("delivery_p99_to_reading", l.Delivery.P99, extra["reading_delivery_p99_ms"])
	case "kill":
		put("next_text", extra["next_text_s"], extra["ack_wait_s"]+1)
	case "scale":
		put("slots_to_runs_per_s", float64(l.Level*scaleSlots), extra["runs_per_s"]) // a run takes a second
		if l.Level > 1 {
			put("linear_to_runs_per_s", 1, extra["linear"])
		}
	case "grow":
		put("to_empty", extra["first_p50_ms"], extra["first_p50_empty_ms"])
	}
}

// toolBudget is what the stores of a run with one tool call allow one person, in
// milliseconds.
func (l *Line) toolBudget() float64 { return 7*l.Machine.Fsync + l.Machine.Commit + 4 }
