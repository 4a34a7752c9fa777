// What programs in Go make of certificate files: `peer serve`, `peer get` and `peer verify`.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func pool(path string) *x509.CertPool {
	text, err := os.ReadFile(path)
	check(err)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		check(fmt.Errorf("no certificate in %s", path))
	}
	return pool
}

// serve CERT KEY [CLIENT-CA]: prints its address, and serves until its standard input ends.
func serve(args []string) {
	pair, err := tls.LoadX509KeyPair(args[0], args[1])
	check(err)
	config := &tls.Config{Certificates: []tls.Certificate{pair}}
	if len(args) > 2 {
		config.ClientAuth = tls.RequireAndVerifyClientCert
		config.ClientCAs = pool(args[2])
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := "nobody"
		if len(r.TLS.PeerCertificates) > 0 {
			name = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		fmt.Fprintf(w, "hello %s\n", name)
	})
	server := &http.Server{Handler: hello, ReadTimeout: time.Minute}
	go server.Serve(tls.NewListener(listener, config))
	io.Copy(io.Discard, os.Stdin)
}

// get URL CA [CERT KEY]
func get(args []string) {
	config := &tls.Config{RootCAs: pool(args[1])}
	if len(args) > 2 {
		pair, err := tls.LoadX509KeyPair(args[2], args[3])
		check(err)
		config.Certificates = []tls.Certificate{pair}
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}, Timeout: time.Minute}
	response, err := client.Get(args[0])
	check(err)
	io.Copy(os.Stdout, response.Body)
}

// verify FILE CA HOST: as crypto/tls does it, with the certificates after the first as intermediates.
func verify(args []string) {
	text, err := os.ReadFile(args[0])
	check(err)
	var certificates []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			certificate, err := x509.ParseCertificate(block.Bytes)
			check(err)
			certificates = append(certificates, certificate)
		}
	}
	options := x509.VerifyOptions{Roots: pool(args[1]), Intermediates: x509.NewCertPool(), DNSName: args[2]}
	for _, certificate := range certificates[1:] {
		options.Intermediates.AddCert(certificate)
	}
	_, err = certificates[0].Verify(options)
	check(err)
	fmt.Println("good")
}

func main() {
	run := map[string]func([]string){"serve": serve, "get": get, "verify": verify}[strings.Join(os.Args[1:2], "")]
	run(os.Args[2:])
}
