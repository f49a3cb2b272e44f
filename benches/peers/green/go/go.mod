module green

go 1.24
