package bus

import "errors"

// WithRemedy marks an error whose text says what to do about it, so that a driver
// which wraps it does not add advice of its own. The text stays as it is; nil stays
// nil.
func WithRemedy(err error) error {
	if err == nil {
		return nil
	}
	return &remedied{err}
}

// HasRemedy says whether an error in err's tree was marked by [WithRemedy].
func HasRemedy(err error) bool {
	_, ok := errors.AsType[*remedied](err)
	return ok
}

type remedied struct{ err error }

func (r *remedied) Error() string { return r.err.Error() }
func (r *remedied) Unwrap() error { return r.err }
