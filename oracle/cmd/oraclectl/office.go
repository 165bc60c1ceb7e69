package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"heliograph/oracle/operator"
)

// defaultSocket is where an oracle with the standard data directory listens.
const defaultSocket = "/var/lib/oracled/admin.sock"

// office is where the operator's questions are answered: by a running oracle, or
// by the same handler on a stopped one's books.
type office struct {
	http  *http.Client
	close func() error
}

// office looks for a running oracle first: its books are locked.
func (c command) office(ctx context.Context) (*office, error) {
	path := c.socket
	if path == "" && c.data != "" {
		path = filepath.Join(c.data, "admin.sock")
	}
	if path == "" {
		path = defaultSocket
	}
	dial := func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "unix", path) }
	conn, err := dial(ctx)
	if err == nil {
		t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
		return &office{&http.Client{Transport: t}, func() error { t.CloseIdleConnections(); return nil }}, conn.Close()
	}
	if c.data == "" || c.socket != "" {
		return nil, fmt.Errorf("%w: does the oracle run, and are you its user? name its socket with --socket, or its directory with --data", err)
	}
	if _, serr := os.Stat(filepath.Join(c.data, "state.db")); serr != nil {
		return nil, fmt.Errorf("--data %s holds no books: %w", c.data, serr)
	}
	d, err := openDisk(ctx, c.data)
	if err != nil {
		return nil, err
	}
	return &office{&http.Client{Transport: inside{operator.New(operator.Config{KV: d.kv})}}, d.Close}, nil
}

// inside calls a handler without a connection.
type inside struct{ h http.Handler }

// RoundTrip implements [http.RoundTripper]. The answer streams.
func (t inside) RoundTrip(r *http.Request) (*http.Response, error) {
	pr, pw := io.Pipe()
	w := &pipeWriter{header: http.Header{}, body: pw, begun: make(chan struct{})}
	go func() {
		defer func() {
			w.WriteHeader(http.StatusOK)
			if recover() != nil { // http.ErrAbortHandler: the answer is not whole
				_ = pw.CloseWithError(io.ErrUnexpectedEOF)
				return
			}
			_ = pw.Close()
		}()
		if r.Body == nil {
			r.Body = http.NoBody
		}
		t.h.ServeHTTP(w, r)
	}()
	<-w.begun
	return &http.Response{StatusCode: w.status, Status: http.StatusText(w.status), Header: w.header, Body: pr, Request: r}, nil
}

// pipeWriter is an [http.ResponseWriter].
type pipeWriter struct {
	header http.Header
	body   *io.PipeWriter
	status int
	begun  chan struct{}
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		close(w.begun)
	}
}

func (w *pipeWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

// open makes a request; the caller closes the answer.
func (o *office) open(ctx context.Context, method, path string, body []byte) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://oracle"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := o.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer func() { _ = resp.Body.Close() }()
	var why struct{ Error string }
	b, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err == nil && json.Unmarshal(b, &why) == nil && why.Error != "" {
		return nil, errors.New(why.Error)
	}
	return nil, fmt.Errorf("the oracle answers %s to %s", resp.Status, path)
}

func (o *office) ask(ctx context.Context, method, path string, body, into any) error {
	var b []byte
	if body != nil {
		var err error
		if b, err = json.Marshal(body); err != nil {
			return err
		}
	}
	r, err := o.open(ctx, method, path, b)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	if err := json.NewDecoder(r).Decode(into); err != nil {
		return fmt.Errorf("%s: not an oracle's answer: %w", path, err)
	}
	_, err = io.Copy(io.Discard, r)
	return err
}
