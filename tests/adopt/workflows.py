"""Workflows as products' owners write them: build, push to ECR, SSH, compose, health."""

TWO_JOBS = """\
# Builds the search and serves it
name: Ship

on:
  push:
    branches: [ "main" ]   # nothing else is served
  workflow_dispatch:

env:
  REGION: ap-southeast-2
  REPOSITORY: watchme-admin

# What is done
jobs:
  # It is tested first
  test:
    runs-on: ubuntu-latest
    steps:
    - uses: actions/checkout@v4
    - run: make test   # all of it

  # It is built
  build:
    needs: test
    runs-on: ubuntu-latest
    steps:
    # The newest code
    - name: Code
      uses: actions/checkout@v4
    - name: Login of AWS
      uses: aws-actions/configure-aws-credentials@v4
      with:
        aws-access-key-id: ${{ secrets.AWS_ACCESS_KEY_ID }}
        aws-secret-access-key: ${{ secrets.AWS_SECRET_ACCESS_KEY }}
        aws-region: ${{ env.REGION }}
    - name: Login of ECR
      id: ecr
      uses: aws-actions/amazon-ecr-login@v2
    - uses: docker/setup-buildx-action@v3
    - name: No old one
      run: |
        # It may be missing
        aws ecr batch-delete-image \\
          --repository-name ${{ env.REPOSITORY }} \\
          --image-ids imageTag=latest || true
    - name: Build
      env:
        REGISTRY: ${{ steps.ecr.outputs.registry }}
        TAG: ${{ github.sha }}
      run: |
        docker buildx build \\
          --platform linux/arm64 --push \\
          -f Dockerfile.prod \\
          -t $REGISTRY/${{ env.REPOSITORY }}:$TAG \\
          -t $REGISTRY/${{ env.REPOSITORY }}:latest \\
          .
        echo "pushed"
    - name: Well
      if: success()
      run: echo "built; now deploying"

  # It is brought to the host
  serve:
    runs-on: ubuntu-latest
    needs: build
    steps:
    - uses: webfactory/ssh-agent@v0.9.0
      with:
        ssh-private-key: ${{ secrets.SSH_PRIVATE_KEY }}
    - uses: actions/checkout@v4
    - name: Files
      env:
        BOX: ${{ secrets.BOX_HOST }}
      run: |
        scp -o StrictHostKeyChecking=no docker-compose.prod.yml run-prod.sh ubuntu@$BOX:/srv/search/
    - name: Variables
      env:
        BOX: ${{ secrets.BOX_HOST }}
        SEARCH_KEY: ${{ secrets.SEARCH_KEY }}
        TOKEN: ${{ secrets.TOKEN }}
      run: |
        ssh ubuntu@$BOX << END
          echo "SEARCH_KEY=$SEARCH_KEY" > /srv/search/.env
          echo "TOKEN=$TOKEN" >> /srv/search/.env
        END
    - name: Serve
      run: |
        ssh ubuntu@${{ secrets.BOX_HOST }} << 'END'
          cd /srv/search
          docker-compose -f docker-compose.prod.yml down || true
          ./run-prod.sh
          ./migrate-by-hand --all
          for i in {1..12}; do
            if curl -f http://localhost:8014/health > /dev/null 2>&1; then
              break
            fi
            sleep 5
          done
        END

  # Who is to know
  report:
    runs-on: ubuntu-latest
    needs: [serve, test]
    steps:
    - run: curl -X POST -d "served" ${{ secrets.CHAT }}
"""
# As above, what is left of it
TWO_JOBS_AFTER = """\
# Builds the search and serves it
name: Ship

on:
  push:
    branches: [ "main" ]   # nothing else is served
  workflow_dispatch:

env:
  REGION: ap-southeast-2
  REPOSITORY: watchme-admin

# What is done
jobs:
  # It is tested first
  test:
    runs-on: ubuntu-latest
    steps:
    - uses: actions/checkout@v4
    - run: make test   # all of it

  # It is built
  build:
    needs:
    - test
    uses: acme/infra/.github/workflows/deploy.yml@main
    permissions:
      contents: read
      id-token: write
      statuses: write
    with:
      service: admin
      infra: acme/infra
      image: watchme-admin
      role: ${{ vars.AWS_ROLE_PUSH }}
      file: Dockerfile.prod
    secrets:
      dispatch: ${{ secrets.DEPLOY }}

  # Who is to know
  report:
    runs-on: ubuntu-latest
    needs: [build, test]
    steps:
    - run: curl -X POST -d "served" ${{ secrets.CHAT }}
"""
ONE_JOB = """\
name: deploy
on: { push: { branches: [main] } }
jobs:
  ship:
    if: github.repository == 'acme/search'
    runs-on: ubuntu-latest
    environment: production
    steps:
      - uses: actions/checkout@v4
      # Other people's code
      - name: Test
        run: |
          npm ci
          npm test

      - uses: docker/setup-qemu-action@v3
      - uses: docker/build-push-action@v6
        with:
          context: ./search
          file: search/docker/Dockerfile
          platforms: linux/amd64
          push: true
          build-args: COMMIT=${{ github.sha }}
          tags: |
            123456789012.dkr.ecr.ap-northeast-1.amazonaws.com/watchme-admin:latest
      - uses: appleboy/ssh-action@v1
        with:
          host: ${{ secrets.HOST }}
          key: ${{ secrets.KEY }}
          script: |
            docker compose pull
            docker compose up -d
      - name: Health
        run: curl --fail --retry 5 https://search.example.com/health
"""
ONE_JOB_AFTER = """\
name: deploy
on: { push: { branches: [main] } }
jobs:
  ship:
    if: github.repository == 'acme/search'
    runs-on: ubuntu-latest
    environment: production
    steps:
      - uses: actions/checkout@v4
      # Other people's code
      - name: Test
        run: |
          npm ci
          npm test


  deploy:
    needs:
    - ship
    uses: acme/infra/.github/workflows/deploy.yml@main
    permissions:
      contents: read
      id-token: write
      statuses: write
    with:
      service: admin
      infra: acme/infra
      image: watchme-admin
      role: ${{ vars.AWS_ROLE_PUSH }}
      context: search
      file: docker/Dockerfile
    secrets:
      dispatch: ${{ secrets.DEPLOY }}
"""
# The image gets its name in a step of its own, and no compose file is on the host
PUSHED_APART = """\
env: { REGION: ap-northeast-1, REPOSITORY: watchme-admin, FOLDER: /srv/search }
jobs:
  image:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v3
      - run: |
          docker build -f search/Dockerfile -t ${{ env.REPOSITORY }} search/
      - name: Push
        run: |
          NOW=$(date +%Y%m%d)
          REGISTRY=123456789012.dkr.ecr.${{ env.REGION }}.amazonaws.com
          docker tag ${{ env.REPOSITORY }}:latest $REGISTRY/${{ env.REPOSITORY }}:$NOW
          docker push $REGISTRY/${{ env.REPOSITORY }}:$NOW
  serve:
    needs: image
    runs-on: ubuntu-latest
    steps:
      - uses: appleboy/ssh-action@v1
        with:
          host: ${{ secrets.HOST }}
          script: |
            cd ${{ env.FOLDER }}
            docker pull 123456789012.dkr.ecr.ap-northeast-1.amazonaws.com/watchme-admin:latest
            docker run -d \\
              --name search \\
              watchme-admin:latest
"""
NOTIFIED = """\
jobs:
  ship:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - id: image
        run: |
          docker build -t watchme-admin . && docker tag watchme-admin $REGISTRY/watchme-admin:latest
          docker push $REGISTRY/watchme-admin:latest
      - run: ssh box "docker compose up -d"
      - name: Notify
        run: ./notify.sh ${{ steps.image.outputs.digest }} ${{ secrets.REGISTRY }}
"""
