package edge

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A refusal reaches who is still sending, also over a connection that ends with
// it, as proxies use by default.
func TestRefusedBodyIsReadOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	host := w.edge.Addr().String()
	for name, c := range map[string]struct {
		token, extra string
		size, status int
	}{
		"too large":     {w.token("ana"), "", maxBody + 64<<10, http.StatusRequestEntityTooLarge},
		"no token":      {"", "", 8 << 10, http.StatusUnauthorized},
		"wrong content": {w.token("ana"), "Content-Encoding: gzip\r\n", 8 << 10, http.StatusUnsupportedMediaType},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := must(net.Dial("tcp", host))
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			must(fmt.Fprintf(conn, "POST /api/ana/chat HTTP/1.0\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n",
				host, c.token, c.extra, c.size))
			half := strings.Repeat(" ", c.size/2)
			must(io.WriteString(conn, half))
			r := bufio.NewReader(conn)
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			// The server has answered; now comes the rest.
			if _, err := io.WriteString(conn, half); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(res.Body); err != nil || res.StatusCode != c.status {
				t.Errorf("%d, %v", res.StatusCode, err)
			}
			if _, err := r.ReadByte(); err != io.EOF {
				t.Errorf("the connection ended with %v", err)
			}
		})
	}
}
