module watchme-infra/lab/stub

go 1.24.0
