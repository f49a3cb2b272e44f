// The workloads with goroutines. GOMAXPROCS is the number of carriers.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

func rss() int64 {
	b, _ := os.ReadFile("/proc/self/statm")
	v, _ := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	return v * 4096
}

func cpuMS() float64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e6
}

func out(k string, v float64) { fmt.Printf("%s %.3f\n", k, v) }

func perOp(t time.Time, n int) { out("ns", float64(time.Since(t).Nanoseconds())/float64(n)) }

func check(ok bool) {
	if !ok {
		log.Fatal("wrong result")
	}
}

//go:noinline
func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

func spawnBatch(n int) {
	t := time.Now()
	res := make([]int, n)
	var wg sync.WaitGroup
	wg.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			res[i] = i + 1
			wg.Done()
		}()
	}
	wg.Wait()
	s := 0
	for _, v := range res {
		s += v
	}
	check(s == n*(n+1)/2)
	perOp(t, n)
}

func spawnSeq(n int) {
	t := time.Now()
	s := 0
	for i := 0; i < n; i++ {
		c := make(chan int, 1)
		go func() { c <- i + 1 }()
		s += <-c
	}
	check(s == n*(n+1)/2)
	perOp(t, n)
}

func parked(n int, kind string) {
	b := rss()
	t := time.Now()
	ch := make(chan int)
	started := make(chan bool)
	for i := 0; i < n; i++ {
		if kind == "sleep" {
			go func() { time.Sleep(time.Hour) }()
		} else {
			go func() { <-ch }()
		}
	}
	go func() { started <- true }()
	<-started
	for runtime.NumGoroutine() < n {
		time.Sleep(time.Millisecond)
	}
	out("create_ms", float64(time.Since(t).Microseconds())/1e3)
	time.Sleep(300 * time.Millisecond)
	out("bytes_per", float64(rss()-b)/float64(n))
	out("rss_mb", float64(rss())/1e6)
	t = time.Now()
	runtime.GC()
	out("gc_ms", float64(time.Since(t).Microseconds())/1e3)
	debug.FreeOSMemory()
	out("bytes_per_gc", float64(rss()-b)/float64(n))
	runtime.KeepAlive(ch)
}

func pingpong(n int) {
	a, b := make(chan int), make(chan int)
	go func() {
		for x := range a {
			b <- x + 1
		}
	}()
	done := make(chan bool)
	go func() {
		t := time.Now()
		v := 0
		for i := 0; i < n; i++ {
			a <- v
			v = <-b
		}
		check(v == n)
		perOp(t, 2*n)
		close(a)
		done <- true
	}()
	<-done
}

func yields(n int) {
	var wg sync.WaitGroup
	wg.Add(2)
	t := time.Now()
	for k := 0; k < 2; k++ {
		go func() {
			for i := 0; i < n; i++ {
				runtime.Gosched()
			}
			wg.Done()
		}()
	}
	wg.Wait()
	perOp(t, 2*n)
}

func sky(c chan int, num, size int) {
	if size == 1 {
		c <- num
		return
	}
	r := make(chan int)
	step := size / 10
	for i := 0; i < 10; i++ {
		go sky(r, num+i*step, step)
	}
	s := 0
	for i := 0; i < 10; i++ {
		s += <-r
	}
	c <- s
}

func ring(n int) {
	const k = 503
	t := time.Now()
	done := make(chan int)
	chs := make([]chan int, k)
	for i := range chs {
		chs[i] = make(chan int)
	}
	for i := 0; i < k; i++ {
		in, next := chs[i], chs[(i+1)%k]
		go func() {
			for v := range in {
				if v == 0 {
					done <- i
					return
				}
				next <- v - 1
			}
		}()
	}
	chs[0] <- n
	check(<-done == n%k)
	perOp(t, n)
	for _, c := range chs {
		close(c)
	}
}

func many2one(n int) {
	per := n / 100
	ch := make(chan int, 128)
	var wg sync.WaitGroup
	wg.Add(100)
	t := time.Now()
	for p := 0; p < 100; p++ {
		go func() {
			for i := 0; i < per; i++ {
				ch <- p + i
			}
			wg.Done()
		}()
	}
	go func() { wg.Wait(); close(ch) }()
	c := 0
	for range ch {
		c++
	}
	check(c == per*100)
	perOp(t, n)
}

func timers(n int) {
	t := time.Now()
	c0 := cpuMS()
	x := uint32(12345)
	var wg sync.WaitGroup
	wg.Add(n)
	for i := 0; i < n; i++ {
		x = x*1664525 + 1013904223
		ms := (x >> 8) % 1000
		go func() {
			time.Sleep(time.Duration(ms) * time.Millisecond)
			wg.Done()
		}()
	}
	wg.Wait()
	out("ms", float64(time.Since(t).Microseconds())/1e3)
	out("cpu_ms", cpuMS()-c0)
	out("rss_mb", float64(rss())/1e6)
}

func par(jobs, k int) {
	t := time.Now()
	res := make([]int, jobs)
	var wg sync.WaitGroup
	wg.Add(jobs)
	for j := 0; j < jobs; j++ {
		go func() {
			res[j] = fib(k)
			wg.Done()
		}()
	}
	wg.Wait()
	out("ms", float64(time.Since(t).Microseconds())/1e3)
}

func echo(port int) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ready")
	for {
		c, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			defer c.Close()
			b := make([]byte, 1024)
			for {
				k, err := c.Read(b)
				if err != nil {
					return
				}
				if _, err := c.Write(b[:k]); err != nil {
					return
				}
			}
		}()
	}
}

func httpServe(port int) {
	body := []byte("hello")
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Write(body)
	})
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ready")
	log.Fatal(http.Serve(l, nil))
}

func files(n int) {
	dir := os.Getenv("FILES")
	per := n / 1000
	t := time.Now()
	sums := make([]int, 1000)
	var wg sync.WaitGroup
	wg.Add(1000)
	for g := 0; g < 1000; g++ {
		go func(g int) {
			for i := 0; i < per; i++ {
				b, err := os.ReadFile(dir + "/f" + strconv.Itoa((g*7+i)%1000))
				if err != nil {
					log.Fatal(err)
				}
				sums[g] += len(b)
			}
			wg.Done()
		}(g)
	}
	wg.Wait()
	s := 0
	for _, v := range sums {
		s += v
	}
	check(s == per*1000*4096)
	out("reads_s", float64(per*1000)/time.Since(t).Seconds())
}

func main() {
	w := os.Args[1]
	n := 0
	if len(os.Args) > 2 {
		n, _ = strconv.Atoi(os.Args[2])
	}
	reps, _ := strconv.Atoi(os.Getenv("REPS"))
	if reps == 0 {
		reps = 1
	}
	for r := 0; r < reps; r++ {
		switch w {
		case "spawn_batch":
			spawnBatch(n)
		case "spawn_seq":
			spawnSeq(n)
		case "parked_sleep":
			parked(n, "sleep")
		case "parked_chan":
			parked(n, "chan")
		case "pingpong":
			pingpong(n)
		case "yield":
			yields(n)
		case "skynet":
			t := time.Now()
			c := make(chan int)
			go sky(c, 0, n)
			check(<-c == n*(n-1)/2)
			out("ms", float64(time.Since(t).Microseconds())/1e3)
		case "ring":
			ring(n)
		case "many2one":
			many2one(n)
		case "timers":
			timers(n)
		case "par":
			par(64, n)
		case "echo":
			echo(n)
		case "http":
			httpServe(n)
		case "files":
			files(n)
		default:
			log.Fatal("unknown workload")
		}
	}
}
