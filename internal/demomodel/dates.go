package demomodel

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const isoDate = "2006-01-02"

var (
	todayRE = regexp.MustCompile(`Today is (\d{4}-\d{2}-\d{2})`)

	weekdays = map[string]time.Weekday{
		"sun": time.Sunday, "mon": time.Monday, "tue": time.Tuesday, "wed": time.Wednesday,
		"thu": time.Thursday, "fri": time.Friday, "sat": time.Saturday,
	}
	months = map[string]time.Month{
		"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6,
		"jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
	}
)

const (
	numberWord  = `(?:\d{1,4}|an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|a couple of|a few)`
	weekdayFull = `(?:mon|tues|wednes|thurs|fri|satur|sun)day`
	weekdayAny  = `(?:` + weekdayFull + `|mon|tues?|wed|thu(?:rs?)?|fri|sat|sun)`
	monthName   = `(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?`
	dayNumber   = `\d{1,2}(?:st|nd|rd|th)?`
)

// dateRE finds one date with the words around it that belong to it. The first
// group is the preposition, the last the time of day; each group between is one
// way to name a day.
var dateRE = regexp.MustCompile(`(?i)\b(due |deadline |(?:is |be |it'?s )?due (?:date )?(?:on |by |for |at |in )?|deadline (?:on |by |is )?|on |by |before |until |till? |for |at )?` +
	`(?:(the day after tomorrow|day after tomorrow|today|tonight|tomm?orr?ow|tmrw)` +
	`|((?:this|next|the|coming|this coming) )?(` + weekdayAny + `)` +
	`|(next week|next month|next year|(?:(?:this|next|the) )?weekend|(?:the )?end of (?:the |this |next )?(?:week|month|year))` +
	`|in (` + numberWord + `) (day|week|month|year)s?` +
	`|(` + numberWord + `) (day|week|month|year)s? from (?:now|today)` +
	`|(\d{4}-\d{1,2}-\d{1,2})` +
	`|(` + monthName + ` ` + dayNumber + `|` + dayNumber + ` (?:of )?` + monthName + `)((?:,? )\d{4})?` +
	`|the (\d{1,2}(?:st|nd|rd|th))` +
	`|(\d{1,2}/\d{1,2}(?:/\d{2,4})?|\d{1,2}\.\d{1,2}\.(?:\d{4})?))` +
	`( (?:in the )?(?:morning|afternoon|evening)| (?:at )?night)?`)

// Groups of dateRE.
const (
	gPrep = 1 + iota
	gDay
	gWhich
	gWeekday
	gSpan
	gIn
	gInUnit
	gFrom
	gFromUnit
	gISO
	gMonthDay
	gYear
	gDayOfMonth
	gSlashed
	gTimeOfDay
)

// calendar knows the person's today; its zero value knows only full dates.
type calendar struct{ today time.Time }

func calendarFrom(system string) calendar {
	if m := todayRE.FindStringSubmatch(system); m != nil {
		if t, err := time.Parse(isoDate, m[1]); err == nil {
			return calendar{t}
		}
	}
	return calendar{}
}

// whole reads text that is nothing but a date ("next friday", "by the 3rd").
func (c calendar) whole(text string) (string, bool) {
	text = strings.Trim(text, " .,!?")
	for _, m := range dateRE.FindAllStringSubmatchIndex(text, 1) {
		if m[0] == 0 && m[1] == len(text) {
			return c.resolve(text, m)
		}
	}
	return "", false
}

// take removes a due date from a task's words. It leaves alone what may be part
// of the title: a weekday without a preposition in the middle, "every friday",
// the end of a span.
func (c calendar) take(text string) (rest, due string) {
	all := dateRE.FindAllStringSubmatchIndex(text, -1)
	for _, m := range slices.Backward(all) {
		before, after := strings.TrimRight(text[:m[0]], " "), text[m[1]:]
		if !boundary(after) || heldByWord(before) {
			continue
		}
		has := func(g int) bool { return m[2*g] >= 0 }
		edge := strings.Trim(before, " ,") == "" || strings.Trim(after, " ,.!)") == ""
		switch {
		case has(gSlashed) && !has(gPrep):
			continue
		case has(gWeekday) && !has(gPrep):
			name := text[m[2*gWeekday]:m[2*gWeekday+1]]
			if !strings.HasSuffix(strings.ToLower(name), "day") || !edge && !has(gWhich) {
				continue
			}
			if strings.EqualFold(strings.TrimSpace(group(text, m, gWhich)), "the") {
				continue
			}
		case (has(gSpan) || has(gDayOfMonth)) && !has(gPrep) && !edge:
			continue
		}
		due, ok := c.resolve(text, m)
		if !ok {
			continue
		}
		return strings.Trim(squeeze(before+" "+timeOfDay(text, m)+strings.TrimLeft(after, ")")), " ,(:-"), due
	}
	return text, ""
}

// tail takes a date from the end of a sentence that moves a task there, so that
// "to" and "from monday to" hold nothing back.
func (c calendar) tail(text string) (rest, due string) {
	for _, m := range dateRE.FindAllStringSubmatchIndex(text, -1) {
		if strings.Trim(text[m[1]:], " .,!?") != "" {
			continue
		}
		if due, ok := c.resolve(text, m); ok {
			return strings.TrimSpace(text[:m[0]]), due
		}
	}
	return text, ""
}

func group(text string, m []int, g int) string {
	if m[2*g] < 0 {
		return ""
	}
	return text[m[2*g]:m[2*g+1]]
}

// timeOfDay keeps what a due date cannot hold.
func timeOfDay(text string, m []int) string {
	if strings.EqualFold(group(text, m, gDay), "tonight") {
		return "tonight "
	}
	t := strings.ToLower(strings.TrimSpace(group(text, m, gTimeOfDay)))
	switch {
	case t == "":
		return ""
	case strings.HasSuffix(t, "night"):
		return "at night "
	default:
		return "in the " + strings.TrimPrefix(t, "in the ") + " "
	}
}

func boundary(after string) bool {
	return after == "" || strings.ContainsRune(" ,.!?;:)\n", rune(after[0]))
}

var holdsDateRE = regexp.MustCompile(`(?i)(?:^|\s)(?:every|each|to|through|and|or|of|since|last|from|than|between|until|-|–)$`)

func heldByWord(before string) bool { return holdsDateRE.MatchString(before) }

// resolve turns a match of dateRE into a date. Without a today only full dates
// can be resolved.
func (c calendar) resolve(text string, m []int) (string, bool) {
	g := func(n int) string { return strings.ToLower(strings.TrimSpace(group(text, m, n))) }
	t, ok := time.Time{}, false
	switch {
	case g(gISO) != "":
		t, ok = date(strings.Split(g(gISO), "-"), 0, 1, 2)
	case g(gMonthDay) != "" && g(gYear) != "":
		t, ok = c.monthDay(g(gMonthDay), strings.Trim(g(gYear), " ,"))
	case c.today.IsZero():
		return "", false
	case g(gMonthDay) != "":
		t, ok = c.monthDay(g(gMonthDay), "")
	case g(gDay) != "":
		t, ok = c.today, true
		if strings.HasPrefix(g(gDay), "tom") || g(gDay) == "tmrw" {
			t = t.AddDate(0, 0, 1)
		} else if strings.Contains(g(gDay), "after") {
			t = t.AddDate(0, 0, 2)
		}
	case g(gWeekday) != "":
		t, ok = c.weekday(g(gWhich), weekdays[g(gWeekday)[:3]]), true
	case g(gSpan) != "":
		t, ok = c.span(g(gSpan)), true
	case g(gIn) != "":
		t, ok = c.plus(number(g(gIn)), g(gInUnit)), true
	case g(gFrom) != "":
		t, ok = c.plus(number(g(gFrom)), g(gFromUnit)), true
	case g(gDayOfMonth) != "":
		t, ok = c.dayOfMonth(number(strings.TrimRight(g(gDayOfMonth), "sthndr")))
	case g(gSlashed) != "":
		t, ok = c.slashed(g(gSlashed))
	}
	if !ok || t.Year() > 9999 {
		return "", false
	}
	return t.Format(isoDate), true
}

// weekday is the coming one; "next" is the one in the calendar week after this.
func (c calendar) weekday(which string, d time.Weekday) time.Time {
	ahead := (int(d) - int(c.today.Weekday()) + 7) % 7
	switch {
	case which == "next":
		monday := c.today.AddDate(0, 0, 7-(int(c.today.Weekday())+6)%7)
		return monday.AddDate(0, 0, (int(d)+6)%7)
	case ahead == 0 && which != "this":
		ahead = 7
	}
	return c.today.AddDate(0, 0, ahead)
}

func (c calendar) span(s string) time.Time {
	monday := c.today.AddDate(0, 0, 7-(int(c.today.Weekday())+6)%7) // of next week
	first := time.Date(c.today.Year(), c.today.Month(), 1, 0, 0, 0, 0, time.UTC)
	next := strings.Contains(s, "next")
	switch {
	case strings.HasSuffix(s, "weekend") && next:
		return monday.AddDate(0, 0, 5)
	case strings.HasSuffix(s, "weekend"):
		if c.today.Weekday() == time.Sunday {
			return c.today
		}
		return monday.AddDate(0, 0, -2)
	case strings.Contains(s, "end of") && strings.HasSuffix(s, "week"):
		end := monday.AddDate(0, 0, -3) // Friday, or the Sunday of a weekend
		if end.Before(c.today) {
			end = monday.AddDate(0, 0, -1)
		}
		if next {
			end = monday.AddDate(0, 0, 4)
		}
		return end
	case strings.Contains(s, "end of") && strings.HasSuffix(s, "month"):
		if next {
			first = first.AddDate(0, 1, 0)
		}
		return first.AddDate(0, 1, -1)
	case strings.HasSuffix(s, "year") && strings.Contains(s, "end of"):
		y := c.today.Year()
		if next {
			y++
		}
		return time.Date(y, 12, 31, 0, 0, 0, 0, time.UTC)
	case strings.HasSuffix(s, "week"):
		return monday
	case strings.HasSuffix(s, "month"):
		return first.AddDate(0, 1, 0)
	default:
		return time.Date(c.today.Year()+1, 1, 1, 0, 0, 0, 0, time.UTC)
	}
}

func (c calendar) plus(n int, unit string) time.Time {
	switch unit {
	case "week":
		return c.today.AddDate(0, 0, 7*n)
	case "month":
		return c.today.AddDate(0, n, 0)
	case "year":
		return c.today.AddDate(n, 0, 0)
	default:
		return c.today.AddDate(0, 0, n)
	}
}

// from counts a span from a due date, or from today if there is none.
func (c calendar) from(due string, s span) string {
	if t, err := time.Parse(isoDate, due); err == nil {
		c.today = t
	}
	return c.plus(s.n, s.unit).Format(isoDate)
}

func (c calendar) dayOfMonth(d int) (time.Time, bool) {
	for i := range 12 {
		first := time.Date(c.today.Year(), c.today.Month()+time.Month(i), 1, 0, 0, 0, 0, time.UTC)
		t := first.AddDate(0, 0, d-1)
		if d >= 1 && t.Month() == first.Month() && !t.Before(c.today) {
			return t, true
		}
	}
	return time.Time{}, false
}

func (c calendar) monthDay(s, year string) (time.Time, bool) {
	var month time.Month
	day := 0
	for _, w := range strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '.' }) {
		if w[0] >= '0' && w[0] <= '9' {
			day = number(strings.TrimRight(w, "sthndr"))
		} else if len(w) >= 3 {
			month = months[w[:3]]
		}
	}
	return c.coming(number(year), int(month), day)
}

// slashed reads 3/15 as Americans do unless only the other order is a date, and
// 15.3. as Germans do.
func (c calendar) slashed(s string) (time.Time, bool) {
	a := strings.FieldsFunc(s, func(r rune) bool { return r == '/' || r == '.' })
	if len(a) < 2 {
		return time.Time{}, false
	}
	year, month, day := 0, number(a[0]), number(a[1])
	if strings.Contains(s, ".") || month > 12 {
		month, day = day, month
	}
	if len(a) == 3 {
		if year = number(a[2]); year < 100 {
			year += 2000
		}
	}
	return c.coming(year, month, day)
}

// coming is that day of that year, or without a year the next such day.
func (c calendar) coming(year, month, day int) (time.Time, bool) {
	if year > 0 {
		return valid(year, month, day)
	}
	t, ok := valid(c.today.Year(), month, day)
	if !ok || t.Before(c.today) {
		return valid(c.today.Year()+1, month, day)
	}
	return t, true
}

func date(a []string, y, m, d int) (time.Time, bool) {
	return valid(number(a[y]), number(a[m]), number(a[d]))
}

func valid(y, m, d int) (time.Time, bool) {
	t := time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)
	return t, t.Year() == y && t.Month() == time.Month(m) && t.Day() == d
}

var numberWords = map[string]int{
	"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
	"nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "a couple of": 2, "a few": 3, "couple": 2,
}

// number reads digits or a word; anything else is 0.
func number(s string) int {
	s = strings.ToLower(strings.TrimSpace(s))
	if n, ok := numberWords[s]; ok {
		return n
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// say names a due date as a person would, counted from today.
func (c calendar) say(due string) string {
	t, err := time.Parse(isoDate, due)
	if err != nil || c.today.IsZero() {
		return due
	}
	switch days := int(t.Sub(c.today).Hours() / 24); {
	case days == 0:
		return "today"
	case days == 1:
		return "tomorrow"
	case days == -1:
		return "yesterday"
	case days > 1 && days < 7:
		return t.Format("Monday")
	case t.Year() == c.today.Year():
		return t.Format("Mon, 2 Jan")
	default:
		return t.Format("Mon, 2 Jan 2006")
	}
}

// day is the full name of today for the question "what day is it".
func (c calendar) day() string {
	return fmt.Sprintf("%s, %d %s %d", c.today.Weekday(), c.today.Day(), c.today.Month(), c.today.Year())
}
