module cloister

go 1.19
