// Proxy: what Go's standard library does as a gateway, to compare with; llama-swap stands on the same.
package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
)

func main() {
	engine, _ := url.Parse("http://127.0.0.1:" + os.Args[2])
	proxy := httputil.NewSingleHostReverseProxy(engine)
	proxy.FlushInterval = -1
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 1000}
	err := http.ListenAndServe("127.0.0.1:"+os.Args[1], http.HandlerFunc(
		func(answer http.ResponseWriter, request *http.Request) {
			body, _ := io.ReadAll(request.Body)
			var named struct{ Model string }
			if json.Unmarshal(body, &named) != nil || named.Model != "a" {
				http.Error(answer, "no such model", http.StatusNotFound)
				return
			}
			request.Body = io.NopCloser(bytes.NewReader(body))
			proxy.ServeHTTP(answer, request)
		}))
	panic(err)
}
