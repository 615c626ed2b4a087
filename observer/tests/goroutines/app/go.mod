module observer.test/goroutines

go 1.18
