// rtspd is an RTSP server for tests: whoever announces a path publishes it, everybody else may read it.
package main

import (
	"fmt"
	"os"
	"sync"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/pion/rtp"
)

type published struct {
	by     *gortsplib.ServerSession
	stream *gortsplib.ServerStream
}

type hub struct {
	server *gortsplib.Server
	lock   sync.Mutex
	paths  map[string]published
}

func answer(code base.StatusCode) *base.Response { return &base.Response{StatusCode: code} }

func (h *hub) find(path string) (*base.Response, *gortsplib.ServerStream, error) {
	h.lock.Lock()
	defer h.lock.Unlock()
	if found, ok := h.paths[path]; ok {
		return answer(base.StatusOK), found.stream, nil
	}
	return answer(base.StatusNotFound), nil, nil
}

func (h *hub) OnDescribe(c *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	return h.find(c.Path)
}

func (h *hub) OnSetup(c *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if c.Session.State() == gortsplib.ServerSessionStatePreRecord {
		return answer(base.StatusOK), nil, nil
	}
	return h.find(c.Path)
}

func (h *hub) OnPlay(*gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	return answer(base.StatusOK), nil
}

func (h *hub) OnAnnounce(c *gortsplib.ServerHandlerOnAnnounceCtx) (*base.Response, error) {
	h.lock.Lock()
	defer h.lock.Unlock()
	if _, taken := h.paths[c.Path]; taken {
		return answer(base.StatusBadRequest), fmt.Errorf("%s is being published", c.Path)
	}
	h.paths[c.Path] = published{c.Session, gortsplib.NewServerStream(h.server, c.Description)}
	return answer(base.StatusOK), nil
}

func (h *hub) OnRecord(c *gortsplib.ServerHandlerOnRecordCtx) (*base.Response, error) {
	_, stream, _ := h.find(c.Path)
	c.Session.OnPacketRTPAny(func(media *description.Media, _ format.Format, packet *rtp.Packet) {
		_ = stream.WritePacketRTP(media, packet)
	})
	return answer(base.StatusOK), nil
}

func (h *hub) OnSessionClose(c *gortsplib.ServerHandlerOnSessionCloseCtx) {
	h.lock.Lock()
	defer h.lock.Unlock()
	for path, each := range h.paths {
		if each.by == c.Session {
			each.stream.Close()
			delete(h.paths, path)
		}
	}
}

func main() {
	h := &hub{paths: map[string]published{}}
	h.server = &gortsplib.Server{Handler: h, RTSPAddress: os.Args[1]}
	if err := h.server.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ready")
	fmt.Fprintln(os.Stderr, h.server.Wait())
}
