// A Go program behind a proxy with mutual TLS: proxied PROXY HTTP HTTPS PROXY-CA CERT KEY ORIGIN-CA
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	return value
}

func main() {
	proxy, plain, secure := os.Args[1], os.Args[2], os.Args[3]
	roots := x509.NewCertPool()
	for _, path := range []string{os.Args[4], os.Args[7]} {
		roots.AppendCertsFromPEM(must(os.ReadFile(path)))
	}
	transport := &http.Transport{
		Proxy:           http.ProxyURL(must(url.Parse(proxy))),
		TLSClientConfig: &tls.Config{RootCAs: roots},
	}
	if os.Args[5] != "" {
		pair := must(tls.LoadX509KeyPair(os.Args[5], os.Args[6]))
		transport.TLSClientConfig.Certificates = []tls.Certificate{pair}
	}
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	for _, origin := range []string{plain, secure} {
		response := must(client.Get(origin + "/"))
		if text := string(must(io.ReadAll(response.Body))); text != "origin\n" {
			fmt.Println(text)
			os.Exit(1)
		}
		body := bytes.Repeat([]byte("x"), 1000000)
		response = must(client.Post(origin+"/echo", "text/plain", bytes.NewReader(body)))
		if text := string(must(io.ReadAll(response.Body))); !strings.Contains(text, `"bytes":1000000`) {
			fmt.Println(text[:200])
			os.Exit(1)
		}
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				response := must(client.Get(origin + "/chunked/100000"))
				if length := len(must(io.ReadAll(response.Body))); length != 100000 {
					fmt.Println(length)
					os.Exit(1)
				}
			})
		}
		group.Wait()
	}
	fmt.Println("good")
}
