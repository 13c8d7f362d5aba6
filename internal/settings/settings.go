// Package settings reads a command's settings from the environment into a struct, says all mistakes at once by the
// variable's name, and documents them. What the settings mean is the command's affair.
//
// A field's tags are those of caarlos0/env (env, envDefault, required, notEmpty) and doc, the sentence for -h and README.
package settings

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/caarlos0/env/v11"

	"mp3converter/internal/job"
)

// Load fills a T from the environment given as KEY=value lines, as os.Environ returns them. The error has one line for
// each mistake.
func Load[T any](environ []string) (T, error) {
	cfg, err := env.ParseAsWithOptions[T](env.Options{Environment: env.ToMap(environ)})
	if err == nil {
		return cfg, validate(cfg)
	}
	var all env.AggregateError
	if !errors.As(err, &all) {
		return cfg, err
	}
	vars := Describe[T]()
	var mistakes []error
	for _, one := range all.Errors {
		mistakes = append(mistakes, named(one, vars))
	}
	err = errors.Join(mistakes...)
	return cfg, errors.Join(err, beside(err, validate(cfg), vars))
}

// beside returns the lines of more that are about other variables than known is: those have no value to judge.
func beside(known, more error, vars []Var) error {
	if more == nil {
		return nil
	}
	var lines []error
	for line := range strings.Lines(more.Error()) {
		if !slices.ContainsFunc(vars, func(v Var) bool { return names(line, v.Name) && names(known.Error(), v.Name) }) {
			lines = append(lines, errors.New(strings.TrimSuffix(line, "\n")))
		}
	}
	return errors.Join(lines...)
}

// names reports whether the text names the variable, and not only another one that has its name inside.
func names(text, variable string) bool {
	words := strings.FieldsFunc(text, func(r rune) bool { return r != '_' && !unicode.IsUpper(r) && !unicode.IsDigit(r) })
	return slices.Contains(words, variable)
}

// validate calls the settings' own check of what one variable alone cannot tell.
func validate(cfg any) error {
	if v, ok := cfg.(interface{ Validate() error }); ok {
		return v.Validate()
	}
	return nil
}

// named says one mistake by the name of the variable, never with its value: it may be a secret.
func named(err error, vars []Var) error {
	var parse env.ParseError
	if !errors.As(err, &parse) {
		return errors.New(strings.TrimPrefix(err.Error(), "env: "))
	}
	name := parse.Name
	for _, v := range vars {
		if v.field == parse.Name {
			name = v.Name
		}
	}
	why := parse.Err
	var number *strconv.NumError
	if errors.As(why, &number) {
		why = number.Err
	}
	return fmt.Errorf("%s: %w", name, why)
}

// Var documents one variable.
type Var struct {
	Name     string
	Default  string // as written in the environment; empty if there is none
	Required bool
	Doc      string
	field    string
}

// Describe lists the variables of a settings struct in the order of its fields.
func Describe[T any]() []Var { return describe(reflect.TypeFor[T]()) }

func describe(t reflect.Type) []Var {
	var vars []Var
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("env"), ",")
		if name == "" {
			if f.Type.Kind() == reflect.Struct {
				vars = append(vars, describe(f.Type)...)
			}
			continue
		}
		vars = append(vars, Var{
			Name: name, Default: f.Tag.Get("envDefault"), Doc: f.Tag.Get("doc"), field: f.Name,
			Required: strings.Contains(options, "required") || strings.Contains(options, "notEmpty"),
		})
	}
	return vars
}

// Usage writes the variables as a table.
func Usage(w io.Writer, vars []Var) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range vars {
		fmt.Fprintf(table, "  %s\t%s\t%s\n", v.Name, v.Value(), v.Doc)
	}
	_ = table.Flush() // w is a terminal; nobody to tell
}

// Value is what the variable is when it is not set, for people.
func (v Var) Value() string {
	switch {
	case v.Required:
		return "required"
	case v.Default == "":
		return "–"
	default:
		return v.Default
	}
}

// Secret is a setting that must not be printed. Convert it to a string where it is used.
type Secret string

func (Secret) String() string { return "***" }

// GoString keeps %#v from printing it.
func (Secret) GoString() string { return "***" }

// MarshalText keeps encoders and slog from printing it.
func (Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }

// Seconds is a duration written in the environment as a number of seconds; fractions are allowed.
type Seconds time.Duration

// UnmarshalText parses it.
func (s *Seconds) UnmarshalText(text []byte) (err error) {
	*s, err = parsed[Seconds](text, time.Second, "seconds")
	return err
}

// D is the duration.
func (s Seconds) D() time.Duration { return time.Duration(s) }

// Hours is the same in hours.
type Hours time.Duration

// UnmarshalText parses it.
func (h *Hours) UnmarshalText(text []byte) (err error) {
	*h, err = parsed[Hours](text, time.Hour, "hours")
	return err
}

// D is the duration.
func (h Hours) D() time.Duration { return time.Duration(h) }

// Days is the same in days of 24 hours.
type Days time.Duration

// UnmarshalText parses it.
func (d *Days) UnmarshalText(text []byte) (err error) {
	*d, err = parsed[Days](text, 24*time.Hour, "days")
	return err
}

// D is the duration.
func (d Days) D() time.Duration { return time.Duration(d) }

// longest is the most that a duration may be: some 31 years. It holds about 292.
const longest = 1e9 * time.Second

func parsed[D ~int64](text []byte, unit time.Duration, units string) (D, error) {
	n, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(n >= 0 && n <= float64(longest/unit)) { // not a number is neither
		return 0, errors.New("not a number of " + units)
	}
	return D(n * float64(unit)), nil
}

// Rules are the settings behind job.Rules. Every service of an installation must be given the same.
type Rules struct {
	UploadLease Seconds   `env:"UPLOAD_LEASE_SECONDS" envDefault:"90" doc:"an upload whose gateway is silent for this long is dead"`
	Lease       Seconds   `env:"LEASE_SECONDS" envDefault:"90" doc:"a worker silent for this long is dead and its job goes to another; renewed three times as often"`
	Skew        Seconds   `env:"CLOCK_SKEW_SECONDS" envDefault:"5" doc:"how far the clocks of two pods may differ"`
	Attempts    int       `env:"ATTEMPTS" envDefault:"3" doc:"conversions that may crash before a job fails"`
	RetryDelay  Seconds   `env:"RETRY_SECONDS" envDefault:"10" doc:"wait after the first crash; six times as long after each further one"`
	RingAfter   Seconds   `env:"RING_SECONDS" envDefault:"30" doc:"a message whose publishing was not confirmed is published again after this"`
	Remind      Seconds   `env:"REMIND_SECONDS" envDefault:"600" doc:"a job still waiting this long after its message is published again, then after twice as long, and so on"`
	RemindMax   Seconds   `env:"REMIND_MAX_SECONDS" envDefault:"7200" doc:"the longest such wait"`
	MailSteps   []Seconds `env:"MAIL_RETRY_SECONDS" envDefault:"60,300,900,1800,3600,7200" doc:"waits after each time the mail server said later; the last repeats"`
	MailFor     Seconds   `env:"MAIL_GIVE_UP_SECONDS" envDefault:"259200" doc:"a mail not taken for this long has failed"`
	KeepVideo   Hours     `env:"KEEP_VIDEO_HOURS" envDefault:"24" doc:"a video is deleted this long after its MP3 was made and mailed; 0 is never"`
	KeepMP3     Days      `env:"KEEP_MP3_DAYS" envDefault:"30" doc:"an MP3 is deleted this long after it was made, and the video of a failed job, which can be retried till then, after it has failed; 0 is never"`
	CleanAfter  Seconds   `env:"CLEAN_SECONDS" envDefault:"3600" doc:"files of dead attempts and deleted jobs are looked for once more after this"`
}

// Job returns them as package job takes them.
func (r Rules) Job() job.Rules {
	steps := make([]time.Duration, len(r.MailSteps))
	for i, s := range r.MailSteps {
		steps[i] = s.D()
	}
	return job.Rules{
		ResumeFor:   job.DefaultRules().ResumeFor, // only the gateway, who takes uploads, has a variable for it
		UploadLease: r.UploadLease.D(), Lease: r.Lease.D(), Skew: r.Skew.D(), Attempts: r.Attempts, RetryDelay: r.RetryDelay.D(),
		RingAfter: r.RingAfter.D(), Remind: r.Remind.D(), RemindMax: r.RemindMax.D(),
		MailSteps: steps, MailFor: r.MailFor.D(), KeepVideo: r.KeepVideo.D(), KeepMP3: r.KeepMP3.D(), CleanAfter: r.CleanAfter.D(),
	}
}

// Validate reports the rules that no system could run by.
func (r Rules) Validate() error {
	var mistakes []error
	for name, d := range map[string]Seconds{
		"UPLOAD_LEASE_SECONDS": r.UploadLease, "LEASE_SECONDS": r.Lease, "RETRY_SECONDS": r.RetryDelay, "RING_SECONDS": r.RingAfter,
		"REMIND_SECONDS": r.Remind, "REMIND_MAX_SECONDS": r.RemindMax, "CLEAN_SECONDS": r.CleanAfter,
	} {
		if d.D() < 10*time.Millisecond {
			mistakes = append(mistakes, fmt.Errorf("%s: shorter than anything takes", name))
		}
	}
	if r.Attempts < 1 {
		mistakes = append(mistakes, errors.New("ATTEMPTS: at least 1"))
	}
	if len(r.MailSteps) == 0 || slices.Min(r.MailSteps) <= 0 {
		mistakes = append(mistakes, errors.New("MAIL_RETRY_SECONDS: at least one wait, and none of 0"))
	}
	if r.KeepMP3 > 0 && r.KeepMP3.D() < r.MailFor.D() {
		mistakes = append(mistakes, errors.New("KEEP_MP3_DAYS: not shorter than MAIL_GIVE_UP_SECONDS, or a mail could come after its MP3 is gone; 0 is for ever"))
	}
	slices.SortFunc(mistakes, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(mistakes...)
}
