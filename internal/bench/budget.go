package bench

// Budgets of the design, for the levels that they are about.

func (l *Line) judge() {
	at := func(what string, got, want float64, unit string) {
		l.Budgets = append(l.Budgets, Verdict{what, round(got, 3), round(want, 3), unit, got <= want})
	}
	atLeast := func(what string, got, want float64, unit string) {
		l.Budgets = append(l.Budgets, Verdict{what, round(got, 3), round(want, 3), unit, got >= want})
	}
	at("tokens lost or doubled", float64(l.Lost+l.Doubled), 0, "tokens")
	fsync := l.Machine.Fsync
	switch {
	case l.Mode == "stream" && l.Level == 1 && l.First.N > 0:
		at("message → first delta p50", l.First.P50, 2*fsync+2, "ms (2 fsyncs + 2 ms)")
	case l.Mode == "stream" && l.Level == 50:
		at("message → first delta p50", l.First.P50, 4, "ms")
		at("message → first delta p99", l.First.P99, 15, "ms")
		at("delta delivery p99", l.Delivery.P99, 4, "ms")
		at("CPU per 1,000 tokens, all processes", l.CPUTotal, 0.20, "s")
	case l.Mode == "stream" && l.Level == 200:
		at("delta delivery p99", l.Delivery.P99, 8, "ms")
	case l.Mode == "stream" && l.Level >= 400 && l.Seconds > 0:
		at("whole box, delivery p99", l.Delivery.P99, 100, "ms")
		atLeast("whole box", float64(l.Tokens)/l.Seconds, 20_000, "tokens/s")
	case l.Mode == "tool" && l.Level == 1 && l.Run.N > 0:
		at("run with one tool call p50", l.Run.P50, l.toolBudget(), "ms (7 fsyncs + 1 Postgres commit + 4 ms)")
	}
	if v, ok := l.Extra["kib_per_socket"]; ok {
		at("idle socket on the edge", v, 12, "KiB")
	}
	if v := l.Extra["next_text_s"]; v > 0 { // 0: nobody was killed in an answer
		at("worker killed → next text", v, l.Extra["ack_wait_s"]+1, "s")
	}
	if v, ok := l.Extra["linear"]; ok && l.Level > 1 { // one worker is what the others are measured by
		atLeast("runs/s against linear", v, 0.9, "×")
		at("spread of the load over workers", l.Extra["uneven"], 0.2, "of the mean")
	}
	if v := l.Extra["to_empty"]; v > 0 {
		at("first delta against an empty conversation", v, 1.2, "×")
	}
	if v := l.Ratio["delivery_p99_to_reading"]; v > 0 {
		at("delivery p99 beside readers that stall, against beside ones that read", v, 1.25, "×")
	}
}
