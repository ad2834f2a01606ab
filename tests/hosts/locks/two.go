// Two locks: two goroutines share one, five the other, each held for a few milliseconds at a time. two.c is the same.
package main

import (
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync"
	"time"
)

var few, many sync.Mutex

//go:noinline
func HoldFew() {
	few.Lock()
	time.Sleep(4 * time.Millisecond)
	few.Unlock()
}

//go:noinline
func HoldMany() {
	many.Lock()
	time.Sleep(4 * time.Millisecond)
	many.Unlock()
}

func write(kind, file string) {
	f, _ := os.Create(file)
	pprof.Lookup(kind).WriteTo(f, 0)
	f.Close()
}

func main() {
	runtime.SetBlockProfileRate(1)
	runtime.SetMutexProfileFraction(1)
	seconds, _ := strconv.Atoi(os.Args[1])
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	var wg sync.WaitGroup
	for i := 0; i < 7; i++ {
		hold := HoldFew
		if i >= 2 {
			hold = HoldMany
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			for time.Now().Before(end) {
				hold()
				time.Sleep(time.Millisecond)
			}
		}()
	}
	wg.Wait()
	write("mutex", os.Args[2])
	write("block", os.Args[3])
}
