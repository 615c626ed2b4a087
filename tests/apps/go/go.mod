module observer.test/goserver

go 1.19
